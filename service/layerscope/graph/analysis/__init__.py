"""Analysis of a graph: shapes, memory, cost, logits and parts."""
