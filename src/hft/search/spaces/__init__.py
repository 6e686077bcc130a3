"""What a search may vary: `space` is the space, `parsing` its YAML grammar, `overrides` its way to Hydra and back."""
