"""The documentation, and the two scripts that make a site of it; neither is part of the package."""
