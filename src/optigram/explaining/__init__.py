"""What a neuron responds to: its concepts, their patterns, contrasts, descriptions and tests of descriptions."""
