"""What both agents share: API-server I/O, asynchronous tools, configuration, logs, metrics. No Pods, no Services."""
