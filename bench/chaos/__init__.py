"""Everything breaks, by a seed: `python -m bench.chaos`. Nothing may be lost, shown twice, or counted wrongly."""
