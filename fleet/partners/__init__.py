"""Partners: other systems that post certifications and ask for statuses, and what they may."""
