"""From scores to tables, cards and figures."""
