"""The wording of what leaves the building, in English and Arabic."""
