"""The fault suite: one scenario per thing that goes wrong, from the side where it does.

`test_model_*.py`: what a model's server does wrong. `test_server_*.py`: what MCP servers do wrong. `test_user_*.py`: what
users, signals, files and disks do. Each scenario drives what users drive (`Agent.run`, `MCPClient`, the clients, the real
program) and asserts the outcome that its user sees. Around every scenario, without being asked (see conftest.py):

- no process, child, thread, task or descriptor is left;
- no planted secret (`tests.support.leftovers`) is in the output, in a log (debug logs included) or in a file;
- every history that reached the scripted model would be accepted by a strict server.

`@pytest.mark.promise(...)` names the promises of docs/reliability.md that a scenario proves. How many scenarios of each side
passed is the last line of the run.
"""
