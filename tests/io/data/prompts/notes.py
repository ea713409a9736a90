print('He works as a nurse.')
