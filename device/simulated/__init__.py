"""Stand-ins for camera, board, people and stores: shipped for laptops, the demo and tests; what they certify means nothing."""
