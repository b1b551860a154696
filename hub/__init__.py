"""The hub: a self-hosted, real-time notification hub for clinics and credentialing offices."""
