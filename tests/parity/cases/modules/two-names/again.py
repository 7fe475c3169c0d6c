import flow

SAME = flow
