internal import FramekeeperShell

await FramekeeperCommand.start()
