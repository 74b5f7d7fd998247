"""How whole deliveries become scenes: put together, calibrated, put on the ground and banked."""
