"""Privacy and law: legal bases, withdrawal, erasure with proof, retention, the register of processing."""
