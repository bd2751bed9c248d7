"""Resources that tenants share, by weight or in turn."""
