"""Examples of monitoring: traces, alert rules and a dashboard."""
