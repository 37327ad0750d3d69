"""For the people of the policy: check, preview, explain, edit, look at labels, judge tags."""
