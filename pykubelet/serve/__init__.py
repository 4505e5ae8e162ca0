"""What the kubelet answers: :10250 one endpoint family a file, :10248 healthz."""
