"""The second service: records from the outbox to the fleet, and receipts, roster and policy from it."""
