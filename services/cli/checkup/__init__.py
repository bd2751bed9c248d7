"""What ``awaaztwin doctor`` looks at, a module for each part of the machine."""
