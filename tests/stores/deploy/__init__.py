"""An application with a store in two versions, for tests of rolling deploys."""
