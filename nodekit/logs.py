"""Log lines in klog shape or JSON, at the verbosity the command line asked for."""
