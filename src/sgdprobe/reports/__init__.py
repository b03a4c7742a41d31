"""Pictures and tables of what was recorded; the only place that draws."""
