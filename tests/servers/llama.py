"""llama.cpp's server, from the wheel of xllamacpp: llama.py MODEL PORT CONTEXT PARALLEL THREADS."""

import sys
import threading

import xllamacpp

model, port, context, parallel, threads = sys.argv[1:]
parameters = xllamacpp.CommonParams()
parameters.model.path = model
parameters.port = int(port)
parameters.n_ctx = int(context)
parameters.n_parallel = int(parallel)
parameters.cpuparams.n_threads = int(threads)
server = xllamacpp.Server(parameters)
threading.Event().wait()
