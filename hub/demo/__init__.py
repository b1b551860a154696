"""A believable clinic and a credentialing office, in English and Arabic, with today's visits and a week of traffic."""
