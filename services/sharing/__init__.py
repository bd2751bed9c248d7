"""What tenants share: by weight, or in turn."""
