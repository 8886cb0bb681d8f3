"""The control API: the verbs of the command line, over HTTP and the control socket.

gateway/routes says which requests come in and who may; here is what answers them (calls, one file
for a verb or a few that are alike), collected in router. An answer is the document of the verb.

Made by app, reached through gateway/control.
"""
