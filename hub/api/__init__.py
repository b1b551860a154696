"""The way in for programs: JSON under `/api/v1`, every refusal a problem document."""
