"""A process that keeps the libraries which steps import, and forks a child for each step.

To import torch, transformers and NeMo takes two to nine seconds, which is most of what a miniature
step takes: with nearly two hundred steps it is a third of the demo. The server imports a step's
module when it is first asked for; the child that it forks runs ``hearsay.step`` from its beginning,
with the arguments, streams and folder of the process that asked, which waits for it, hands signals
on to it and ends as it ends. Numbers do not change: a child has its own seeds, and a server refuses
what it cannot do in the same way, so that the step runs in the process that asked.

That is where
- the environment is not the server's own (another conda environment, another number of threads), or
  the limits of processes are not;
- an import fails (the step then fails by itself, with the traceback in its own log);
- a library has started threads, whose locks a child would inherit.

``rules/step_server.smk`` starts one for a run on this machine; it ends with the process that
started it, once its children have ended.
"""
