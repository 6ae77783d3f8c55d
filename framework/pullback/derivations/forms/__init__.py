"""Right derivations; with their backward stages left out they are the forms to fill in."""
