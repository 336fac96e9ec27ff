"""What every room needs: errors, files that appear whole, seeds, shards, ledgers, versions of results."""
