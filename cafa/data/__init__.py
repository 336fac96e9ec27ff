"""Published data sets: from their lists to validated manifests."""
