"""Human study: pairs of videos, a page for raters, their answers, and the win rates with intervals (Table 3)."""
