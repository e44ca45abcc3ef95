"""What is kept: files written whole, answers, and jobs with their events."""
