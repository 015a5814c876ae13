"""The second service: records from the outbox to the fleet, and receipts, roster, policy and attestation from it."""
