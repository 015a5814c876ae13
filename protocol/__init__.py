"""What terminal and fleet share: wire types, signatures, policy and protected references."""
