internal import ArgumentParser
internal import FramekeeperShell

await FramekeeperCommand.main()
