"""The ways out: one vendor, one file. Knows vendors; neither clinics nor the database."""
