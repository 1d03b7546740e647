import Glibc
import WALClient

exit(WALProgram.run(Array(CommandLine.arguments.dropFirst())))
