"""Data by stick: the outbox and the questions out, receipts, rosters and policy home."""
