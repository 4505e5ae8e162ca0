"""The KubeProxyConfiguration file, read strictly into typed settings."""
