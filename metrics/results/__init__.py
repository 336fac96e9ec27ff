"""What was found, for others: result folders read again, exported, compared, and shown as a page."""
