"""Power-law audit of weight matrices."""
