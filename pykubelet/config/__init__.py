"""The KubeletConfiguration file, read strictly into typed settings."""
