"""What happens to one frame, live or recorded: a tensor, scores, a label, an event.

`pipeline` says it in this order; `classifier` and `interpreter` run the model, `decision` makes a
label that stays put of scores.
"""
