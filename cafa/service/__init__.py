"""Generation as a service: one queue before models loaded once; an HTTP API (`cafa serve`), a page (`cafa demo`)."""
