# A provider of Vagrant for machines that run already: tests.machines.vagrant makes them, in place of a hypervisor.
# /root/machines.json has the address of each by its name. The rest is Vagrant's own: files, scripts and commands by SSH.
require "json"

module Lab
  class Create
    def initialize(app, _env)
      @app = app
    end

    def call(env)
      env[:machine].id = env[:machine].name.to_s
      @app.call(env)
    end
  end

  class Destroy
    def initialize(app, _env)
      @app = app
    end

    def call(env)
      env[:machine].id = nil
      @app.call(env)
    end
  end

  class Provider < Vagrant.plugin("2", :provider)
    include Vagrant::Action::Builtin

    ACTIONS = {
      up: [[ConfigValidate], [Provision], [Create], [WaitForCommunicator, [:running]]],
      ssh_run: [[SSHRun]],
      destroy: [[Destroy]],
    }.freeze

    def initialize(machine)
      @machine = machine
    end

    def action(name)
      steps = ACTIONS[name] or return
      Vagrant::Action::Builder.new.tap { |builder| steps.each { |step| builder.use(*step) } }
    end

    def state
      id = @machine.id ? :running : Vagrant::MachineState::NOT_CREATED_ID
      Vagrant::MachineState.new(id, id.to_s, id.to_s)
    end

    def ssh_info
      return unless @machine.id
      address = JSON.parse(File.read("/root/machines.json")).fetch(@machine.id)
      {host: address, port: 22, username: "vagrant", private_key_path: "/root/key"}
    end
  end

  class Plugin < Vagrant.plugin("2")
    name "lab"
    # As libvirt's: its machines are made side by side, and need no box.
    provider(:lab, parallel: true, box_optional: true) { Provider }
  end
end
