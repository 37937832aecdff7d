"""The study on photographs of real rain: arms, trainings, measures, report."""
