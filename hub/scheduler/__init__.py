"""The worker: a clock that ticks, a timetable that says what is due, and the jobs."""
