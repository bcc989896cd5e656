"""What people ask of a policy: questions, lint, differences, rules learnt from a log."""
