"""The Hydra application: what it offers, refuses, shows and says. Nothing outside knows Hydra."""
